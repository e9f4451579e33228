"""What compiled code calls: operators, access, calls, copies. Values in, values or errors out."""
