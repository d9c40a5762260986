"""A reader that survives everything: networks that fail, servers that crash, clusters that move."""
