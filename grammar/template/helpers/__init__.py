"""The helpers of templates; `catalog` has the table of them."""
