//! kdb+ databases on disk: splayed, partitioned, segmented, enumerated, compressed; read by mapping, written at end of day
