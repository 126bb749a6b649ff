"""A server that answers at once and proves behind. Needs the extra zkcore[serve]."""
