//! the GW process: QIPC and REST in front of the coordinators
