//! Taking mail from clients: listeners, connections, and the decisions a session asks for.

mod settings;

pub use settings::{
    ListenerSettings, OnPortInUse, PortSet, PortSetError, PriorityHeader, Profile, StrictAddresses,
};
