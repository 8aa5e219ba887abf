"""The product under attack: by its own signed-in users, through rows and requests."""
