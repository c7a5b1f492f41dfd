"""What a page may ask of a lab, as plain data, and its answers where no web server is: in the browser."""
