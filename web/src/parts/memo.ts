/** A component that is drawn again only when one of its properties is another: what preact/compat has, without the rest of that. */
import { Component, createElement, type ComponentType, type FunctionComponent } from "preact";

export function memo<Props extends object>(render: FunctionComponent<Props>): ComponentType<Props> {
  return class extends Component<Props> {
    override shouldComponentUpdate(next: Props): boolean {
      const known = this.props as Record<string, unknown>;
      return Object.entries(next).some(([name, value]) => known[name] !== value);
    }
    override render() {
      return createElement(render, this.props);
    }
  };
}
