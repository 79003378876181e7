// Files that have no name until they are whole, for AtomicFile. One implementation per system.
#ifndef TVL_MODELS_UNNAMED_FILE_H_
#define TVL_MODELS_UNNAMED_FILE_H_

namespace tvl::internal {

// A new file for writing on the file system of `folder`; it vanishes with its last descriptor.
// Permissions 0666 less the umask. -1 where the system or the file system has no such files.
int CreateUnnamedFile(const char* folder);

// Gives a file of CreateUnnamedFile its name. 0, or an errno: EEXIST if `path` exists.
int NameFile(int fd, const char* path);

}  // namespace tvl::internal

#endif  // TVL_MODELS_UNNAMED_FILE_H_
