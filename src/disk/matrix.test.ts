/** The test matrix for sparse files where files share no blocks. */
import { testCopies } from "../../test/kit/disk/copy-matrix.suite.ts";

testCopies(({ shares }) => !shares);
