// Exit codes of the programs in this folder, after sysexits(3). Listed in docs/reference/config.md.
#pragma once

namespace ringway::cp {

inline constexpr int kExitUsage = 64;         // wrong command line
inline constexpr int kExitUnavailable = 69;   // the catalog cannot be opened or cannot listen; a control plane cannot be reached
inline constexpr int kExitInternal = 70;      // a child of `ringway up` was killed at its first start
inline constexpr int kExitCannotCreate = 73;  // the run directory cannot be made, or another control plane or `ringway up` holds it
inline constexpr int kExitTemporary = 75;     // a drain that was not over in time; an upgrade that has not happened, all goes on
inline constexpr int kExitConfig = 78;        // the config is wrong

}  // namespace ringway::cp
