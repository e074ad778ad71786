"""What `lockgate try` finds out before a commit, and the card that shows it."""
