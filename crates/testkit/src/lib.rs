//! what tests share: launch a mesh, fake peers, sample databases
