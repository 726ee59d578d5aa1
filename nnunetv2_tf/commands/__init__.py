"""One module per console command: arguments in, one request out. Heavy imports wait until the arguments are read.

`diagnosis` is what `python -m nnunetv2_tf` says.
"""
