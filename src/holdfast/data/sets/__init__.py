"""Known data sets: where their files are published, and how to fetch and check them."""
