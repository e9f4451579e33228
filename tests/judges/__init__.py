"""Independent implementations as judges of ours, at full size; the tests take samples of them."""
