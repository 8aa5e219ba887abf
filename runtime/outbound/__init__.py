"""What our API accepted, on its way to WhatsApp."""
