// Says `heard` to gt and gives its answer.
function ask(args, heard) {
  try {
    const asked = spawnSync(GT, [...args, "--hook=" + NAME], { input: JSON.stringify(heard), encoding: "utf8", timeout: 10000 });
    return JSON.parse(asked.stdout || "{}");
  } catch {
    return {};
  }
}
