"""One module per console command: argparse and nothing else. Heavy imports wait until the arguments are read."""
