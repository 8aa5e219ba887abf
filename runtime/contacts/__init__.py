"""Who is who: numbers checked on WhatsApp, and the names of one customer that are one."""
