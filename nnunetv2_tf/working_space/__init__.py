"""The working space of all methods: cases as nnU-Net preprocesses and stores them."""
