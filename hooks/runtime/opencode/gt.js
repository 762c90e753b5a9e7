// Hooks of gt for OpenCode (plugins of version 1). Written by gt; changes here are overwritten.
// Whatever fails here is let pass: a session goes on without gt.
import { spawnSync } from "node:child_process";

const GT = {{gt}};
const NAME = {{name}};

{{ask}}

export const Gt = async ({ client }) => {
  // Why the agent is to be primed at its next turn; empty when it was.
  let source = "startup";
  let primed = "";
  let told = "";
  return {
    event: async ({ event }) => {
      if (event.type === "session.compacted") source = "compact";
      if (event.type !== "session.idle") return;
      const { finish } = ask(["signal", "stop"], {});
      if (!finish) return;
      const body = { parts: [{ type: "text", text: finish }] };
      await client.session.prompt({ path: { id: event.properties.sessionID }, body }).catch(() => {});
    },
    "chat.message": async () => {
      if (source) {
        primed = ask(["prime"], { source }).context || "";
        source = "";
      }
      told = ask(["signal", "prompt"], {}).context || "";
    },
    "experimental.chat.system.transform": async (_input, output) => {
      for (const text of [primed, told]) if (text) output.system.push(text);
    },
    "tool.execute.before": async (input, output) => {
      if (input.tool !== "bash") return;
      const { forbid } = ask(["guard"], { command: output.args && output.args.command });
      if (forbid) throw new Error(forbid);
    },
  };
};
