/** The page of varve's daemon: what it holds, what it moves, and what it could free. */
import { render } from "preact";
import { App } from "./app.tsx";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/parts.css";
import "./styles/strata.css";
import "./styles/jobs.css";

const root = document.getElementById("page");
if (root !== null) render(<App />, root);
