"""What all methods that learn share; knows none of them."""
