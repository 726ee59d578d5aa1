"""The baseline, the nnU-Net trained on a fold's real cases, and the features of its encoder."""
