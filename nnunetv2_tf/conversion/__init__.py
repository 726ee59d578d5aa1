"""Other people's folders become nnU-Net raw datasets."""
