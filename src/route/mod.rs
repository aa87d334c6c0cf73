//! Which upstream takes a message: account, tenant, parents, global.
