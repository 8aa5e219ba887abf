"""The routes, one module per prefix. Each only translates; the work is the runtime's."""
