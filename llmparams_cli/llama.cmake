# How llama.cpp is compiled for llmparams: a third of the time, and right on processors with AMX.
#
#   CMAKE_ARGS="-DCMAKE_PROJECT_INCLUDE='/path/to/llama.cmake'" \
#       pip install --no-cache-dir llama-cpp-python==VERSION
#
# CMake reads this after every project() of the build: llama-cpp-python's, llama.cpp's and ggml's.
# Without --no-cache-dir, pip would take a wheel that it has kept from a build without this file.

# GCC 12, and others of that age, take the stores that set up the AMX tiles for dead, and drop them:
# the first token of a quantised model then ends the process. GCC calls it PR target/114098.
set(keep_stores "-fno-dse -fno-tree-dse")
string(FIND "${CMAKE_CXX_FLAGS}" "${keep_stores}" position)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND position EQUAL -1)
    string(APPEND CMAKE_CXX_FLAGS " ${keep_stores}")
endif()

# What follows is for the Python package alone: llama.cpp's own programs need its common library.
if(CMAKE_PROJECT_NAME STREQUAL "llama_cpp")
    # The library for images and sound, which llmparams does not use.
    set(LLAVA_BUILD OFF CACHE BOOL "" FORCE)
    # Helpers of llama.cpp's programs, half of all there is to compile. llama-cpp-python sets this ON;
    # here, after llama.cpp's project(), is the last word.
    set(LLAMA_BUILD_COMMON OFF CACHE BOOL "" FORCE)
endif()

# Compile the files of a library together, so that the headers they share are read once. Libraries for
# other devices than these are left alone: nobody has tried it there.
function(compile_together)
    foreach(library llama ggml-base ggml-cpu ggml-vulkan)
        if(TARGET ${library})
            set_target_properties(${library} PROPERTIES UNITY_BUILD ON)
        endif()
    endforeach()
endfunction()
if(CMAKE_PROJECT_NAME STREQUAL "llama_cpp" AND CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
    cmake_language(DEFER CALL compile_together)  # once these libraries are known
endif()
