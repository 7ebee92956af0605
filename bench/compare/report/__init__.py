"""What a run tells: the table of the terminal, and the HTML page."""
