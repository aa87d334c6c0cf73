//! Taking mail from clients: listeners, connections, and the decisions a session asks for.
