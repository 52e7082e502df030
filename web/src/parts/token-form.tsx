/** Asks for the token that the daemon wants. It stays in this tab and goes nowhere but to the daemon. */
import { useState } from "preact/hooks";
import { Field } from "./field.tsx";

interface Props {
  readonly wasWrong: boolean;
  readonly onEnter: (token: string) => void;
}

export function TokenForm({ wasWrong, onEnter }: Props) {
  const [text, setText] = useState("");
  return (
    <form
      class="card narrow"
      onSubmit={(event) => {
        event.preventDefault();
        if (text.trim() !== "") onEnter(text.trim());
      }}
    >
      <h2>This daemon wants a token</h2>
      <p>
        It is one of the lines of the file that the daemon's configuration names as tokenFile. It is kept until this tab
        is closed.
      </p>
      {wasWrong && (
        <p class="error-text" role="alert">
          The daemon does not know this token.
        </p>
      )}
      <Field label="Token" type="password" value={text} onInput={setText} autocomplete="off" required />
      <div class="actions">
        <button type="submit">Go on</button>
      </div>
    </form>
  );
}
