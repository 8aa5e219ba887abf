"""What WhatsApp delivered, made into entries of the journal."""
