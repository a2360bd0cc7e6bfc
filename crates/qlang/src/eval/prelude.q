/ Library functions that q text says best. Each line defines one name.
.Q.K:2024.05.31
.Q.k:4.1
.q.csv:","
.q.tables:{system"a ",$[x~(::);"";string x]}
