"""Pages: one HTML file each, or a folder of tiles with one."""
