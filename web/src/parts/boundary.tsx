/** A fault of one view leaves the way to the others. */
import { Component, type ComponentChildren } from "preact";
import { toTrouble } from "../api/daemon.ts";
import { ErrorBox } from "./states.tsx";

export class Boundary extends Component<{ readonly children: ComponentChildren }, { readonly thrown?: unknown }> {
  static override getDerivedStateFromError(thrown: unknown): { readonly thrown: unknown } {
    return { thrown };
  }

  override render() {
    if (!("thrown" in this.state)) return this.props.children;
    return <ErrorBox error={toTrouble(this.state.thrown)} retry={() => location.reload()} />;
  }
}
