// Hooks of gt for Pi and Oh My Pi. Written by gt; changes here are overwritten.
// Whatever fails here is let pass: a session goes on without gt.
import { spawnSync } from "node:child_process";

const GT = {{gt}};
const NAME = {{name}};

{{ask}}

export default function (pi) {
  // Why the agent is to be primed at its next turn; empty when it was.
  let source = "startup";
  pi.on("session_start", (event) => {
    source = (event && event.reason) || "startup";
  });
  pi.on("session_compact", () => {
    source = "compact";
  });
  pi.on("before_agent_start", () => {
    const texts = [];
    if (source) texts.push(ask(["prime"], { source }).context);
    source = "";
    texts.push(ask(["signal", "prompt"], {}).context);
    const content = texts.filter(Boolean).join("\n\n");
    if (content) return { message: { customType: "gt", content, display: false } };
  });
  pi.on("tool_call", (event) => {
    if (event.toolName !== "bash") return;
    const { forbid } = ask(["guard"], { command: event.input && event.input.command });
    if (forbid) return { block: true, reason: forbid };
  });
  pi.on("agent_end", () => {
    const { finish } = ask(["signal", "stop"], {});
    if (finish) pi.sendUserMessage(finish, { deliverAs: "followUp" });
  });
}
