"""WhatsApp: the Node bridge process, the link to it, and one actor per connection."""
