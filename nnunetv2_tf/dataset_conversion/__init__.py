"""Other people's folders become nnU-Net raw datasets. With `labels`, the only place that knows BraTS."""
