"""What a set is like and worth: figures of realism and usefulness, measured on cases that its methods never saw."""
