"""One file or folder per method of making synthetic cases; its name is the method's name."""
