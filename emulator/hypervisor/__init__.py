"""Virtual machines, their memory, their exits and who runs when."""
