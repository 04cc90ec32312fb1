// Loaded before Azurite: ends it when the pipe from its parent closes, which a killed parent's does, too. Azurite keeps
// its list of blobs in memory for seconds, and writes it when it is ended by a signal.
function end() {
  process.emit("SIGTERM");
  setTimeout(() => process.exit(0), 3000).unref();
}
process.stdin.on("end", end);
process.stdin.on("error", end);
process.stdin.resume();
