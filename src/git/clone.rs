//! Clones a project into a bare repository.
