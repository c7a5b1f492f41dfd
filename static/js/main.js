// Entry point of the page's scripts: htmx, then our own modules.
import "htmx.org";
