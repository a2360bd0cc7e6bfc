/ Library functions that q text says best. Each line defines one name.
.Q.K:4.1
