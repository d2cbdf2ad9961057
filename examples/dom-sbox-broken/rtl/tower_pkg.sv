// The field of AES as a tower of fields, each with a normal basis over the one below it:
//
//     GF(4)   over GF(2):  W^2, W       with W^2 + W = 1
//     GF(16)  over GF(4):  Z^4, Z       with Z^2 + Z = N,   N = W^2
//     GF(256) over GF(16): Y^16, Y      with Y^2 + Y = NU,  NU = N^2 Z
//
// The upper half of a value is the factor of the basis element that is named first.
//
// Source: D. Canright, "A very compact S-box for AES", CHES 2005.
package tower_pkg;

  // Bytes of AES to the tower: what becomes of the bits 7 to 0 of a byte.
  localparam logic [7:0][7:0] TO_TOWER = 64'hf2_90_51_18_74_9a_17_ff;
  // And back, with the linear part of the S-box (FIPS 197, section 5.1.1) after it.
  localparam logic [7:0][7:0] FROM_TOWER = 64'hd2_78_6f_15_e4_fa_5f_8e;

  // The product of a matrix, given by its columns, and a vector.
  function automatic logic [7:0] map(logic [7:0][7:0] columns, logic [7:0] value);
    logic [7:0] result;
    result = '0;
    for (int i = 0; i < 8; i++) result ^= columns[i] & {8{value[i]}};
    return result;
  endfunction

  function automatic logic [1:0] mul4(logic [1:0] a, logic [1:0] b);
    logic both;
    both = (a[1] ^ a[0]) & (b[1] ^ b[0]);
    return {(a[1] & b[1]) ^ both, (a[0] & b[0]) ^ both};
  endfunction

  // N a.
  function automatic logic [1:0] scale4(logic [1:0] a);
    return {a[0], a[1] ^ a[0]};
  endfunction

  // a^2, and for a /= 0 the inverse.
  function automatic logic [1:0] square4(logic [1:0] a);
    return {a[0], a[1]};
  endfunction

  function automatic logic [3:0] mul16(logic [3:0] a, logic [3:0] b);
    logic [1:0] both;
    both = scale4(mul4(a[3:2] ^ a[1:0], b[3:2] ^ b[1:0]));
    return {mul4(a[3:2], b[3:2]) ^ both, mul4(a[1:0], b[1:0]) ^ both};
  endfunction

  // NU a^2.
  function automatic logic [3:0] square_scale16(logic [3:0] a);
    return {a[2] ^ a[0], a[3] ^ a[1], a[1] ^ a[0], a[0]};
  endfunction

  // The halves of a value of GF(16), exchanged, times one of GF(4).
  function automatic logic [3:0] mul_halves16(logic [3:0] a, logic [1:0] b);
    return {mul4(a[1:0], b), mul4(a[3:2], b)};
  endfunction

  // The halves of a value of GF(256), exchanged, times one of GF(16).
  function automatic logic [7:0] mul_halves256(logic [7:0] a, logic [3:0] b);
    return {mul16(a[3:0], b), mul16(a[7:4], b)};
  endfunction

endpackage
