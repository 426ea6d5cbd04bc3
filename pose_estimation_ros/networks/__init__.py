"""Networks, one file each (torch)."""
