"""The sidecar step beside the way it replaces and beside astropy, on one generated sky."""
