"""A program as a supervised child."""
