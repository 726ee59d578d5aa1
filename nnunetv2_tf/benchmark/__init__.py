"""Did it help? Results of trained models, side by side."""
