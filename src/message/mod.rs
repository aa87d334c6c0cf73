//! What is read from a message or changed in it on its way in.
